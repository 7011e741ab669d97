package train

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// IDX (http://yann.lecun.com/exdb/mnist/): bytes 00 00, a type byte (08 = unsigned byte), the number of dimensions, each dimension
// as a big-endian uint32, then the values. Akin keeps one image as an IDX blob of its own: 00 00 08 02, height, width, pixels.
const (
	idxImages = 0x00000803 // count × height × width
	idxLabels = 0x00000801 // count
	idxImage  = 0x00000802 // height × width

	idxImageHeader = 12 // bytes before the pixels of a one-image blob

	maxIDXSide  = 4096       // pixels
	maxIDXItems = 10_000_000 // images or labels in a file
	maxIDXBytes = 4 << 30    // pixels in a file
)

// IDX reads a pair of IDX files, gzipped or plain: images (unsigned bytes, count × height × width) and their labels (unsigned
// bytes, count); labelsPath "" leaves the items unlabelled. A raw item is a one-image IDX blob. Ids are the images file's name up to
// its first dot and the item's number; the classes are the label values that occur, ascending. A broken file is an error wrapping ErrDataset.
func IDX(imagesPath, labelsPath string) (Dataset, error) {
	raw, err := readIDXFile(imagesPath, readIDXImages)
	if err != nil {
		return Dataset{}, err
	}
	prefix, _, _ := strings.Cut(filepath.Base(imagesPath), ".")
	d := Dataset{IDs: numbered(strings.ToValidUTF8(prefix, "_")+"-", len(raw)), Raw: raw, Labels: make([]int, len(raw))}
	if labelsPath == "" {
		for i := range d.Labels {
			d.Labels[i] = Unlabelled
		}
		return d, nil
	}
	values, err := readIDXFile(labelsPath, readIDXLabels)
	if err != nil {
		return Dataset{}, err
	}
	if len(values) != len(raw) {
		return Dataset{}, fmt.Errorf("%w: %s holds %d labels for the %d images of %s", ErrDataset, labelsPath, len(values), len(raw), imagesPath)
	}
	var occurs [256]bool
	for _, v := range values {
		occurs[v] = true
	}
	var label [256]int
	for v := range occurs {
		if occurs[v] {
			label[v] = len(d.Classes)
			d.Classes = append(d.Classes, strconv.Itoa(v))
		}
	}
	for i, v := range values {
		d.Labels[i] = label[v]
	}
	return d, nil
}

// numbered returns prefix00000, prefix00001, …
func numbered(prefix string, n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("%s%05d", prefix, i)
	}
	return ids
}

// readIDXFile opens path, unpacks it if it is gzipped, and hands it to read. Errors name the file.
func readIDXFile[T any](path string, read func(io.Reader) (T, error)) (T, error) {
	var none T
	f, err := os.Open(path)
	if err != nil {
		return none, err
	}
	defer f.Close() // read only: nothing to lose in closing
	r, err := gunzip(f)
	if err != nil {
		return none, fmt.Errorf("%w: %s: %v", ErrDataset, path, err)
	}
	v, err := read(r)
	if err != nil {
		return none, fmt.Errorf("%w: %s: %v", ErrDataset, path, err)
	}
	return v, nil
}

// gunzip looks at the first two bytes, not at the name, because browsers and mirrors unpack files without renaming them.
func gunzip(r io.Reader) (io.Reader, error) {
	b := bufio.NewReaderSize(r, 64<<10)
	magic, err := b.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(magic) == 2 && magic[0] == 0x1f && magic[1] == 0x8b {
		return gzip.NewReader(b)
	}
	return b, nil
}

// readIDXDims reads a header of the given magic number and returns its dimensions, which are within the limits above.
func readIDXDims(r io.Reader, magic uint32) ([]int, error) {
	dims := make([]int, magic&0xff)
	header := make([]byte, 4+4*len(dims))
	n, err := io.ReadFull(r, header)
	if n >= 4 {
		if got := binary.BigEndian.Uint32(header); got != magic {
			return nil, fmt.Errorf("magic number %#08x, want %#08x (%d-dimensional unsigned bytes)", got, magic, len(dims))
		}
	}
	if err != nil {
		return nil, fmt.Errorf("an IDX header of %d bytes ends after %d: %w", len(header), n, err)
	}
	for i := range dims {
		v := binary.BigEndian.Uint32(header[4+4*i:])
		limit := uint32(maxIDXSide)
		if i == 0 {
			limit = maxIDXItems
		}
		if v == 0 || v > limit {
			return nil, fmt.Errorf("dimension %d of the header is %d, want 1 to %d", i, v, limit)
		}
		dims[i] = int(v)
	}
	if len(dims) == 3 && int64(dims[0])*int64(dims[1])*int64(dims[2]) > maxIDXBytes {
		return nil, fmt.Errorf("the header announces %d images of %d×%d pixels, more than the limit of %d bytes", dims[0], dims[1], dims[2], int64(maxIDXBytes))
	}
	return dims, nil
}

// readIDXImages returns each image as a one-image blob. Memory grows with what is read, not with what the header promises.
func readIDXImages(r io.Reader) ([][]byte, error) {
	dims, err := readIDXDims(r, idxImages)
	if err != nil {
		return nil, err
	}
	n, h, w := dims[0], dims[1], dims[2]
	var raw [][]byte
	var slab []byte // images share allocations of about 1 MB
	size := idxImageHeader + h*w
	for i := range n {
		if len(slab) < size {
			slab = make([]byte, size*min(n-i, max(1, 1<<20/size)))
		}
		blob := slab[:size:size]
		slab = slab[size:]
		putIDXImageHeader(blob, h, w)
		if _, err := io.ReadFull(r, blob[idxImageHeader:]); err != nil {
			return nil, fmt.Errorf("the header announces %d images, but the file ends in number %d: %w", n, i, err)
		}
		raw = append(raw, blob)
	}
	return raw, expectEnd(r)
}

// readIDXLabels returns the label bytes.
func readIDXLabels(r io.Reader) ([]byte, error) {
	dims, err := readIDXDims(r, idxLabels)
	if err != nil {
		return nil, err
	}
	labels, err := io.ReadAll(io.LimitReader(r, int64(dims[0])))
	if err != nil {
		return nil, fmt.Errorf("after %d of %d labels: %w", len(labels), dims[0], err)
	}
	if len(labels) < dims[0] {
		return nil, fmt.Errorf("the header announces %d labels, but the file holds %d", dims[0], len(labels))
	}
	return labels, expectEnd(r)
}

// expectEnd also makes a gzip reader check its checksum.
func expectEnd(r io.Reader) error {
	var b [1]byte
	switch _, err := io.ReadFull(r, b[:]); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return fmt.Errorf("after the last item: %w", err)
	}
	return errors.New("the file goes on after the last item that its header announces")
}

func putIDXImageHeader(blob []byte, h, w int) {
	binary.BigEndian.PutUint32(blob, idxImage)
	binary.BigEndian.PutUint32(blob[4:], uint32(h))
	binary.BigEndian.PutUint32(blob[8:], uint32(w))
}
