"""What a finished dataset is worth: by itself, beside real data, and as training data."""
