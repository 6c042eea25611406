"""Bags and the neighbouring formats, read and written without ROS."""
