"""What explain says of actors, techniques and organisations, which stand beside indicators."""
