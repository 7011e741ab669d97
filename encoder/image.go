package encoder

// imageDecoder decodes pictures of the formats that Format names, brings them upright and to the size of the features. Transparent pixels
// show black; of 16 bits a channel the upper eight count; a GIF shows its first frame, a TIFF its first page.
type imageDecoder struct {
	Preprocessing
	value []float32 // [channel·256 + v]
}

func (d *imageDecoder) Decode(raw []byte) (Features, error) {
	img, turn, err := decodeImage(raw)
	if err != nil {
		return Features{}, err
	}
	px := render(img, turn, d.Size, d.Fit.draw)
	f := Features{Data: make([]float32, len(px.Pix)), Shape: []int{d.Size.Height, d.Size.Width, d.Size.Channels}}
	if d.Size.Channels == 1 {
		for i, v := range px.Pix {
			f.Data[i] = d.value[v]
		}
		return f, nil
	}
	for i := 0; i < len(f.Data); i += 3 {
		for c, v := range px.Pix[i : i+3] {
			f.Data[i+c] = d.value[256*c+int(v)]
		}
	}
	return f, nil
}
