"""Code that several rooms use."""
