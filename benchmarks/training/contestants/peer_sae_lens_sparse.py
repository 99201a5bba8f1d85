"""sae-lens 6.54.12 with sparse latents."""

from contestants import peer_sae_lens


class Contestant(peer_sae_lens.Contestant):
    """Sparse latents."""

    sparse = True
