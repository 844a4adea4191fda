"""Attention: one definition, several implementations, one entry."""

from videogen.ops.attention.api import AttentionPlan as AttentionPlan
from videogen.ops.attention.api import attention as attention
