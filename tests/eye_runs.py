"""Runs that segment a few drawn eyes with a tiny network."""

EYES = [
    *("task=segmentation", "trainer=cpu", "image_size=64", "backbone.encoder=mobilenetv2_035"),
    *("backbone.decoder_channels=8", "data.side=64", "data.num_train=6", "data.num_test=3"),
    *("data.global_batch_size=6", "data.num_workers=0", "optimizer.lr=0.01"),
    *("lr_scheduler.milestones=[1]", "trainer.max_epochs=2"),
]
TVCONV_EYES = [*EYES, "operator=tvconv", "operator.generator_channels=4", "operator.generator_layers=0"]
