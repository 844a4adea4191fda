"""TransNetV2 (Soucek and Lokoc 2020, arXiv 2008.04838): a network that finds shots, in JAX."""
