"""Section "A known symmetry": do seeds differ by translations of modular addition?"""
