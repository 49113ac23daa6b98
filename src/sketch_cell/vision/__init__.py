"""Camera pixels and screen metres, and the stylus found by frame differencing."""
