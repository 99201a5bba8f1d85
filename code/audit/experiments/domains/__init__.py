"""Section "Code and prose": does it matter what the model reads (claim C27, several corpora)?"""
