"""A language model of 2 MB whose weights make it call one tool, then answer.

An embedding per token, orthogonal to all others, and an output matrix that maps each token to the
next one. One attention layer averages over the context and marks whether a tool has answered.
"""

from pathlib import Path

import numpy as np
from gguf import GGUFWriter, TokenType

CALL = """\
<tool_call>
<function=Bash>
<parameter=command>
echo called
</parameter>
</function>
</tool_call>"""
ANSWER = "Done."

_TEMPLATE = Path(__file__).with_name("system_first.jinja")
_END = "<|im_end|>"
_CONTROL = ["<|im_start|>", _END]
_WORDS = ["</think>", "<tool_response>", CALL, ANSWER]
_WIDTH = 288
_ANSWERED = _WIDTH - 1
"""The dimension that is set once the context holds a tool's answer."""


def write(file: Path) -> None:
    """Write the model as GGUF, with a chat template in the manner of Qwen3.5's."""
    letters = _letters()
    tokens = [*letters, *_CONTROL, *_WORDS]
    writer = GGUFWriter(file, "llama")
    writer.add_context_length(65536)
    writer.add_embedding_length(_WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(_WIDTH)
    writer.add_head_count(1)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(
        [TokenType.NORMAL] * len(letters)
        + [TokenType.CONTROL] * len(_CONTROL)
        + [TokenType.USER_DEFINED] * len(_WORDS)
    )
    writer.add_token_merges(["Ġ Ġ"])  # there must be one
    writer.add_eos_token_id(tokens.index(_END))
    writer.add_chat_template(_TEMPLATE.read_text())
    for name, weights in _weights(tokens, newline=letters[ord("\n")]).items():
        writer.add_tensor(f"{name}.weight", weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _weights(tokens: list[str], newline: str) -> dict[str, "np.ndarray"]:
    output = np.zeros((len(tokens), _WIDTH), np.float32)

    def follows(word: str, after: str, weight: float) -> None:
        output[tokens.index(word), tokens.index(after)] = weight

    follows("</think>", newline, 10)  # a prompt ends with a line feed
    follows(CALL, "</think>", 20)
    output[tokens.index(CALL), _ANSWERED] = -20
    follows(ANSWER, "</think>", 10)
    follows(_END, CALL, 10)
    follows(_END, ANSWER, 10)

    none, ones = np.zeros((_WIDTH, _WIDTH), np.float32), np.ones(_WIDTH, np.float32)
    value, mark = none.copy(), none.copy()
    value[0, tokens.index("<tool_response>")] = 1
    mark[_ANSWERED, 0] = 1000  # about as large as an embedding, at one token in thousands
    unused = ("attn_q", "attn_k", "ffn_gate", "ffn_up", "ffn_down")
    return {
        "token_embd": np.eye(len(tokens), _WIDTH, dtype=np.float32),
        "blk.0.attn_norm": ones,
        "blk.0.attn_v": value,
        "blk.0.attn_output": mark,
        "blk.0.ffn_norm": ones,
        **{f"blk.0.{name}": none for name in unused},
        "output_norm": ones,
        "output": output,
    }


def _letters() -> list[str]:
    """Return a token for each byte, as GPT-2 spells them: printable, and none is a space."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return [
        chr(byte) if byte in printable else chr(256 + others.index(byte)) for byte in range(256)
    ]
