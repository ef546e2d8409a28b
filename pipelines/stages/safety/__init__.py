"""Personal data, secrets, toxicity, balance, bias and unsupported claims."""
