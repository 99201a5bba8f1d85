"""sae-lens 6.54.12 with latents held in a sparse tensor."""

from contestants import peer_sae_lens


class Contestant(peer_sae_lens.Contestant):
    """The same with its own switch for speed."""

    sparse = True
