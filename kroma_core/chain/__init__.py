"""A chain's identity and constants: family, rollup config, genesis, and the L1 it lives on."""
