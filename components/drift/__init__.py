"""Has what the champion sees changed since it was trained, by how much, and is it the camera or the product?"""
