"""The database: the verbs of the schema `listener`, and the two transports that call them."""
