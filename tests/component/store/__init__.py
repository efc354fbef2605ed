"""The record room, on both databases."""
