"""What no data sheet says of a compiled step: a few fitted numbers, and from what.

PRODUCTS, HIDDEN, BLOCK and VISIT_CYCLES were fitted by hand to steps of DiT-XL/2 and Wan 1.3B
on v5e:4x4, as libtpu 0.0.42 compiled them; LOOSE to these and to two of DiT-XL/2 on four
chips; KERNELS to benchmarks/results/attention.jsonl. `python -m benchmarks.planner` says how
far these are off, and others.
"""

PRODUCTS = 0.93  # of the MXUs' peak, in XLA's products
HIDDEN = 0.30  # of a product's HBM traffic, what its arithmetic hides
KERNELS = {128: 1.0, 256: 0.89}  # of the MXUs' peak in attention kernels, by MXU width
VISIT_CYCLES = (
    400.0  # to fill and drain a kernel's pipeline, of one head and block pair
)
LOOSE = 0.36  # of bytes written outside products, what fusion leaves
BLOCK = (
    1.9  # layers' worth of products' results that the backward pass of one layer holds
)
# Not fitted: an array that is swapped is read and written once on either side.
SWAP_COPIES = 4.0
