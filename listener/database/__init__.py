"""Call the verbs of the schema `listener` over one of two transports. Internal."""
