# SPDX-License-Identifier: Apache-2.0
"""The application of django_traffic.py."""
