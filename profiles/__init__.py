"""Profiles that ship with the program, looked up by bare name."""
