"""What dictionaries that share nothing score: closed forms and null models."""
