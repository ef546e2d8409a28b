"""`run --engine ray`: blocks are made by actors of a Ray cluster, and committed by this process."""
