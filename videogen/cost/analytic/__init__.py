"""What a training step takes by arithmetic: what its trace shows, at a chip's rates."""
