"""Everything people and pipelines see: text made of a plan, and of nothing else."""
