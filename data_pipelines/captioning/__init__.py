"""New captions for a finished dataset, beside its latents, which stay as they are."""
