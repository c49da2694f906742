cuda_architectures: str
instruction_sets: str
