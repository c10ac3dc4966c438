# Stage 2: three SegFormers on MiT-B3. The paper says "MixTransformer" without a size or head; B3
# with the SegFormer head is what TPRO uses.
_base_ = ['./mutual_learning.py', '../networks/segformer_mit-b3.py']
