"""What a cell needs of its computer, found out before a drawing depends on it."""
