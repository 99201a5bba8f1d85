"""Section "Consistency training": does a consistency loss between two SAEs help (C01–C07)?"""
