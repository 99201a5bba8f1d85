"""Section "Many seeds": what twenty seeds say that few cannot (claim C27), and a prediction."""
