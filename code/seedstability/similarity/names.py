"""Names of the statistics and chance levels of a comparison."""

from seedstability.stability.chance.closed_form import Similarity

BEST: tuple[Similarity, ...] = ("max_cosine", "max_abs_cosine")
"""Statistics of best partners: cheap, with a closed-form chance level."""
MATCHED = ("matched_mean", "matched_median")
"""Statistics of the one-to-one assignment of decoders."""
SHARES = ("shared", "shared_decoder_only", "agreeing")
"""Shares of latents by agreement of decoder and encoder assignments, printed in percent."""
SIMILARITIES = (*BEST, *MATCHED, *SHARES)
"""All statistics, in the order of the report."""
ENCODER = "encoder_"
"""Prefix of encoder statistics."""
LEVELS = ("isotropic", "untrained", "data", "gauge")
"""The four chance levels, weakest first."""
