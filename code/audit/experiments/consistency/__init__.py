"""Section "Consistency training": does a term that draws two dictionaries together help (C01–C07)?"""
