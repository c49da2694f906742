cuda_architectures: str
