"""What textmill costs, measured on the machine at hand: `make bench`."""
