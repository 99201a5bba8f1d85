"""Section "Same data, different features": the fifth report (claims C40 to C45, C48, C49)."""
