"""Section "A known symmetry": is the ambiguity of the dictionaries a group that has a name?"""
