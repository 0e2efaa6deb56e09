"""`vitreid export`: the commands that make and check bundles, one module each."""

import typer

from vitreid.export.cli import adopt, calibrate, explain, onnx, tensorrt, verify

HELP = "Turn a checkpoint into a bundle, and check bundles."
app = typer.Typer(no_args_is_help=True, add_completion=False, help=HELP)
app.command("onnx")(onnx.to_onnx)
app.command("tensorrt")(tensorrt.to_tensorrt)
app.command()(adopt.adopt)
app.command()(explain.explain)
app.command()(verify.verify)
app.command()(calibrate.calibrate)
