"""Attention: one definition, several implementations, two entries of one meaning."""

from videogen.ops.attention.api import AttentionPlan as AttentionPlan
from videogen.ops.attention.api import attention as attention
from videogen.ops.attention.api import attention_transposed as attention_transposed
