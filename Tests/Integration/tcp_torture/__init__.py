# SPDX-License-Identifier: Apache-2.0
"""Clients that speak TCP by hand against a real kernel: what that kernel delivered is the truth that a replay is held against."""
