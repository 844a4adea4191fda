"""`videogen plan`: which mesh, remat policy and microbatches, before anything is rented."""
