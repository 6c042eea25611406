"""Weights of the original GroundingDINO under the names that transformers has for them."""

from __future__ import annotations

import re
from typing import Any

import torch

_SWIN = "model.backbone.conv_encoder.model.swin."
_NAMES = (
    # vision backbone
    (r"backbone\.0\.patch_embed\.proj\.", _SWIN + "embeddings.patch_embeddings.projection."),
    (r"backbone\.0\.patch_embed\.norm\.", _SWIN + "embeddings.norm."),
    (r"backbone\.0\.layers\.(\d)\.downsample\.", _SWIN + r"encoder.layers.\1.downsample."),
    (r"backbone\.0\.layers\.", _SWIN + "encoder.layers."),
    (r"(blocks\.\d+)\.norm1\.", r"\1.layernorm_before."),
    (r"(blocks\.\d+)\.norm2\.", r"\1.layernorm_after."),
    (r"(blocks\.\d+)\.attn\.proj\.", r"\1.attention.o_proj."),
    (r"(blocks\.\d+)\.attn\.(.)_proj\.", r"\1.attention.\2_proj."),
    (r"(blocks\.\d+)\.attn\.relative_position_bias_table",
     r"\1.attention.relative_position_bias.relative_position_bias_table"),
    # text backbone, projections, queries
    (r"^bert\.", "model.text_backbone."),
    (r"^feat_map\.", "model.text_projection."),
    (r"^input_proj\.", "model.input_proj_vision."),
    (r"^transformer\.tgt_embed\.", "model.query_position_embeddings."),
    (r"^transformer\.enc_out_bbox_embed\.", "model.encoder_output_bbox_embed."),
    (r"^transformer\.", "model."),
    # encoder
    (r"encoder\.layers\.(\d+)\.self_attn\.", r"encoder.layers.\1.deformable_layer.self_attn."),
    (r"encoder\.layers\.(\d+)\.norm1\.",
     r"encoder.layers.\1.deformable_layer.self_attn_layer_norm."),
    (r"encoder\.layers\.(\d+)\.norm2\.", r"encoder.layers.\1.deformable_layer.final_layer_norm."),
    (r"encoder\.layers\.(\d+)\.linear", r"encoder.layers.\1.deformable_layer.fc"),
    (r"encoder\.text_layers\.(\d+)\.", r"encoder.layers.\1.text_enhancer_layer."),
    (r"text_enhancer_layer\.linear", "text_enhancer_layer.fc"),
    (r"text_enhancer_layer\.norm1\.", "text_enhancer_layer.layer_norm_before."),
    (r"text_enhancer_layer\.norm2\.", "text_enhancer_layer.layer_norm_after."),
    (r"encoder\.fusion_layers\.(\d+)\.", r"encoder.layers.\1.fusion_layer."),
    (r"fusion_layer\.gamma_v", "fusion_layer.vision_param"),
    (r"fusion_layer\.gamma_l", "fusion_layer.text_param"),
    (r"fusion_layer\.layer_norm_v\.", "fusion_layer.layer_norm_vision."),
    (r"fusion_layer\.layer_norm_l\.", "fusion_layer.layer_norm_text."),
    (r"fusion_layer\.attn\.(values_|out_|)v_proj", r"fusion_layer.attn.\1vision_proj"),
    (r"fusion_layer\.attn\.(values_|out_|)l_proj", r"fusion_layer.attn.\1text_proj"),
    # decoder
    (r"decoder\.layers\.(\d+)\.cross_attn\.", r"decoder.layers.\1.encoder_attn."),
    (r"decoder\.layers\.(\d+)\.ca_text\.", r"decoder.layers.\1.encoder_attn_text."),
    (r"decoder\.layers\.(\d+)\.catext_norm\.", r"decoder.layers.\1.encoder_attn_text_layer_norm."),
    (r"decoder\.layers\.(\d+)\.norm1\.", r"decoder.layers.\1.encoder_attn_layer_norm."),
    (r"decoder\.layers\.(\d+)\.norm2\.", r"decoder.layers.\1.self_attn_layer_norm."),
    (r"decoder\.layers\.(\d+)\.norm3\.", r"decoder.layers.\1.final_layer_norm."),
    (r"decoder\.layers\.(\d+)\.linear", r"decoder.layers.\1.fc"),
    (r"decoder\.norm\.", "decoder.layer_norm."),
    (r"decoder\.ref_point_head\.", "decoder.reference_points_head."),
)  # fmt: skip
_JOINT = {
    ".attn.qkv.": (".attn.q_proj.", ".attn.k_proj.", ".attn.v_proj."),
    ".in_proj_": (".query.", ".key.", ".value."),
}


def convert(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same tensors, joint attention matrices cut into query, key and value."""
    converted: dict[str, Any] = {}
    for name, tensor in state.items():
        for part, values in _parts(name, tensor):
            converted[_rename(part)] = values
    return converted


def _parts(name: str, tensor: torch.Tensor) -> list[tuple[str, torch.Tensor]]:
    for joint, parts in _JOINT.items():
        if joint in name:
            chunks = zip(parts, tensor.chunk(3), strict=True)
            return [(name.replace(joint, part), values) for part, values in chunks]
    return [(name, tensor)]


def _rename(name: str) -> str:
    if stage := re.match(r"backbone\.0\.norm(\d)\.(.*)", name):
        norms = "model.backbone.conv_encoder.model.hidden_states_norms"
        return f"{norms}.stage{int(stage[1]) + 1}.{stage[2]}"
    for pattern, replacement in _NAMES:
        name = re.sub(pattern, replacement, name)
    return name
