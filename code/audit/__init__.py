"""The paper that runs: an audit of five reports on the seed-stability of sparse autoencoders."""
