package train

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// idxBytes builds an IDX file: magic, dimensions, data.
func idxBytes(magic uint32, dims []uint32, data []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, magic)
	for _, d := range dims {
		b = binary.BigEndian.AppendUint32(b, d)
	}
	return append(b, data...)
}

func zipped(b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(b); err != nil {
		panic(err)
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

func write(t testing.TB, path string, b []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// toyIDX returns n images of 2×3 pixels counting up, and labels i%3+4.
func toyIDX(n int) (images, labels []byte) {
	pixels, values := make([]byte, n*6), make([]byte, n)
	for i := range pixels {
		pixels[i] = byte(i)
	}
	for i := range values {
		values[i] = byte(i%3 + 4)
	}
	return idxBytes(idxImages, []uint32{uint32(n), 2, 3}, pixels), idxBytes(idxLabels, []uint32{uint32(n)}, values)
}

func TestIDX(t *testing.T) {
	dir := t.TempDir()
	images, labels := toyIDX(5)
	for name, f := range map[string]func([]byte) []byte{"plain": func(b []byte) []byte { return b }, "zipped": zipped} {
		i, l := write(t, filepath.Join(dir, name, "some-images.idx3-ubyte.gz"), f(images)), write(t, filepath.Join(dir, name, "labels"), f(labels))
		d, err := IDX(i, l)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Validate(); err != nil {
			t.Fatal(err)
		}
		if d.Len() != 5 || d.IDs[4] != "some-images-00004" || !slices.Equal(d.Classes, []string{"4", "5", "6"}) || !slices.Equal(d.Labels, []int{0, 1, 2, 0, 1}) {
			t.Fatalf("%s: %+v", name, d)
		}
		if want := []byte{0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 6, 7, 8, 9, 10, 11}; !bytes.Equal(d.Raw[1], want) {
			t.Fatalf("%s: item 1 is %v, want %v", name, d.Raw[1], want)
		}
		d, err = IDX(i, "")
		if err != nil || d.Len() != 5 || len(d.Classes) != 0 || d.Label(3) != "" {
			t.Fatalf("%s: unlabelled %+v, %v", name, d, err)
		}
	}
}

func TestIDXErrors(t *testing.T) {
	dir := t.TempDir()
	images, labels := toyIDX(5)
	badSum := zipped(images)
	badSum[len(badSum)-6] ^= 1
	for _, c := range []struct {
		name           string
		images, labels []byte
		want           string
	}{
		{"empty", nil, labels, "header of 16 bytes ends after 0"},
		{"cut header", images[:9], labels, "header of 16 bytes ends after 9"},
		{"cut image", images[:len(images)-7], labels, "announces 5 images, but the file ends in number 3"},
		{"goes on", append(slices.Clone(images), 1), labels, "goes on after the last item"},
		{"no images", idxBytes(idxImages, []uint32{0, 2, 3}, nil), labels, "dimension 0 of the header is 0"},
		{"too many", idxBytes(idxImages, []uint32{math.MaxUint32, 2, 3}, nil), labels, "dimension 0 of the header is 4294967295, want 1 to 10000000"},
		{"too wide", idxBytes(idxImages, []uint32{1, 2, 5000}, nil), labels, "dimension 2 of the header is 5000, want 1 to 4096"},
		{"too much", idxBytes(idxImages, []uint32{10_000_000, 4096, 4096}, nil), labels, "more than the limit of 4294967296 bytes"},
		{"promises", idxBytes(idxImages, []uint32{256, 4096, 4096}, []byte{1}), labels, "ends in number 0"},
		{"floats", idxBytes(0x0d03, []uint32{1, 2, 2}, nil), labels, "magic number 0x00000d03, want 0x00000803"},
		{"swapped", labels, images, "magic number 0x00000801"},
		{"cut zip", zipped(images)[:25], labels, "ends"},
		{"bad checksum", badSum, labels, "gzip: invalid checksum"},
		{"no zip", []byte{0x1f, 0x8b, 1, 2, 3}, labels, "EOF"},
		{"cut labels", images, labels[:len(labels)-1], "announces 5 labels, but the file holds 4"},
		{"labels go on", images, append(slices.Clone(labels), 1), "goes on after the last item"},
		{"fewer labels", images, idxBytes(idxLabels, []uint32{2}, []byte{1, 2}), "holds 2 labels for the 5 images"},
	} {
		i, l := write(t, filepath.Join(dir, "images"), c.images), write(t, filepath.Join(dir, "labels"), c.labels)
		if _, err := IDX(i, l); !errors.Is(err, ErrDataset) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
	if _, err := IDX(filepath.Join(dir, "nowhere"), ""); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

func FuzzIDX(f *testing.F) {
	images, labels := toyIDX(3)
	for _, b := range [][]byte{images, labels, zipped(images), zipped(labels), images[:20], nil, {0x1f, 0x8b}} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := gunzip(bytes.NewReader(b)); err == nil {
			if raw, err := readIDXImages(r); err == nil {
				for i, blob := range raw {
					h, w := binary.BigEndian.Uint32(blob[4:]), binary.BigEndian.Uint32(blob[8:])
					if binary.BigEndian.Uint32(blob) != idxImage || len(blob) != idxImageHeader+int(h*w) || h*w == 0 {
						t.Fatalf("image %d of %d×%d has %d bytes", i, h, w, len(blob))
					}
				}
			}
		}
		if r, err := gunzip(bytes.NewReader(b)); err == nil {
			if labels, err := readIDXLabels(r); err == nil && len(labels) == 0 {
				t.Fatal("no labels and no error")
			}
		}
	})
}
