package train

import (
	"bytes"
	"errors"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/image/tiff"

	"github.com/akin-search/akin/encoder"
)

func encoded(t *testing.T, encode func(b *bytes.Buffer, m image.Image) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := encode(&b, image.NewGray(image.Rect(0, 0, 4, 3))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestFolder(t *testing.T) {
	pngBytes := encoded(t, func(b *bytes.Buffer, m image.Image) error { return png.Encode(b, m) })
	jpgBytes := encoded(t, func(b *bytes.Buffer, m image.Image) error { return jpeg.Encode(b, m, nil) })
	gifBytes := encoded(t, func(b *bytes.Buffer, m image.Image) error { return gif.Encode(b, m, nil) })
	tiffBytes := encoded(t, func(b *bytes.Buffer, m image.Image) error { return tiff.Encode(b, m, nil) })
	dir := t.TempDir()
	for name, b := range map[string][]byte{
		"cat/b.PNG": pngBytes, "cat/a.jpg": jpgBytes, "cat/deep/er/c.JpEg": jpgBytes, "ant/x.png": pngBytes,
		"loose.png": pngBytes, "zebra/ü.png": jpgBytes, // what the bytes are counts, not the extension
		"cat/notes.txt": []byte("hello"), "cat/broken.png": []byte("no image"), "cat/empty.jpg": nil, "dog/anim.png": gifBytes, "dog/scan": tiffBytes,
		"cat/cut.png": pngBytes[:20], "dog/phone.heic": []byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic"), ".hidden/x.png": pngBytes, "cat/.x.png": pngBytes,
	} {
		write(t, filepath.Join(dir, filepath.FromSlash(name)), b)
	}
	if runtime.GOOS == "linux" { // other systems refuse such a name
		write(t, filepath.Join(dir, "bad", "\xff.png"), pngBytes)
	}
	if err := os.Symlink(filepath.Join(dir, "ant"), filepath.Join(dir, "cat", "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "ant", "x.png"), filepath.Join(dir, "ant", "y.png")); err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(t.TempDir(), "root")
	if err := os.Symlink(dir, root); err != nil {
		t.Fatal(err)
	}
	d, skipped, err := Folder(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Validate(); err != nil {
		t.Fatal(err)
	}
	if want := []string{"ant/x.png", "ant/y.png", "cat/a.jpg", "cat/b.PNG", "cat/deep/er/c.JpEg", "dog/anim.png", "dog/scan", "loose.png", "zebra/ü.png"}; !slices.Equal(d.IDs, want) {
		t.Fatalf("ids %q, want %q", d.IDs, want)
	}
	if want := []int{0, 0, 1, 1, 1, 2, 2, Unlabelled, 3}; !slices.Equal(d.Labels, want) || !slices.Equal(d.Classes, []string{"ant", "cat", "dog", "zebra"}) {
		t.Fatalf("labels %v of %q, want %v", d.Labels, d.Classes, want)
	}
	if !bytes.Equal(d.Raw[1], pngBytes) || !bytes.Equal(d.Raw[2], jpgBytes) {
		t.Fatal("the raw bytes are not the files'")
	}
	reasons := map[string]string{
		"cat/broken.png": "no PNG, JPEG", "cat/cut.png": "a PNG with a broken or unknown header", "cat/empty.jpg": "an empty file", "dog/phone.heic": "a HEIC, which is not decoded: convert it to JPEG or PNG",
		"cat/link": "not a regular file", "cat/notes.txt": "no PNG, JPEG",
	}
	if runtime.GOOS == "linux" {
		reasons["bad/\uFFFD.png"] = "not valid UTF-8"
	}
	for _, s := range skipped {
		want, ok := reasons[s.Path]
		if !ok || !strings.Contains(s.Reason, want) {
			t.Errorf("skipped %q: %q", s.Path, s.Reason)
		}
		delete(reasons, s.Path)
	}
	if len(reasons) != 0 {
		t.Errorf("not reported: %v", reasons)
	}
}

func TestFolderFlatAndErrors(t *testing.T) {
	pngBytes := encoded(t, func(b *bytes.Buffer, m image.Image) error { return png.Encode(b, m) })
	dir := t.TempDir()
	if _, _, err := Folder(dir); !errors.Is(err, ErrDataset) || !strings.Contains(err.Error(), "no "+encoder.Formats+", "+encoder.SoundFormats+" in "+dir) {
		t.Errorf("empty folder: %v", err)
	}
	write(t, filepath.Join(dir, "a.png"), []byte("a picture of you"))
	if _, skipped, err := Folder(dir); !errors.Is(err, ErrDataset) || !strings.Contains(err.Error(), "1 files skipped, the first: a.png") || len(skipped) != 1 {
		t.Errorf("no images: %v, %v", err, skipped)
	}
	file := write(t, filepath.Join(dir, "b.png"), pngBytes)
	d, _, err := Folder(dir)
	if err != nil || d.Len() != 1 || d.Labels[0] != Unlabelled || len(d.Classes) != 0 {
		t.Errorf("flat folder: %+v, %v", d, err)
	}
	if _, _, err := Folder(file); !errors.Is(err, ErrDataset) || !strings.Contains(err.Error(), "is a file") {
		t.Errorf("a file: %v", err)
	}
	if _, _, err := Folder(filepath.Join(dir, "nowhere")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing folder: %v", err)
	}
}
