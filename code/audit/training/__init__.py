"""Training stages of the audit: SAEs, controls, pooled dictionaries and variants."""
