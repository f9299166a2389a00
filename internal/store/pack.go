package store

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"interlock/bundle"
)

// unpackedMax bounds what is read out of a stored object.
const unpackedMax = bundle.MaxSize + 1<<20

var errDamaged = errors.New("the stored object is damaged")

// pack compresses data behind its checksum.
func pack(data []byte) ([]byte, error) {
	var buf bytes.Buffer
	w, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	for _, part := range [][]byte{sum[:], data} {
		if _, err := w.Write(part); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// unpack returns what pack was given, or an error that matches errDamaged.
func unpack(packed []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	data, err := io.ReadAll(io.LimitReader(r, unpackedMax+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	if len(data) < sha256.Size || len(data) > unpackedMax {
		return nil, fmt.Errorf("%w: %d bytes", errDamaged, len(data))
	}
	sum, data := data[:sha256.Size], data[sha256.Size:]
	if want := sha256.Sum256(data); !bytes.Equal(sum, want[:]) {
		return nil, fmt.Errorf("%w: checksum", errDamaged)
	}
	return data, nil
}

// packBundle writes what was signed as one line of JSON, then the encoding as it is.
func packBundle(b bundle.Signed) ([]byte, error) {
	head, err := json.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("store generation %d: %w", b.Position.Generation, err)
	}
	return append(append(head, '\n'), b.Encoded...), nil
}

func unpackBundle(data []byte) (bundle.Signed, error) {
	var b bundle.Signed
	r := bufio.NewReader(bytes.NewReader(data))
	head, err := r.ReadBytes('\n')
	if err != nil {
		return b, fmt.Errorf("%w: %w", errDamaged, err)
	}
	if err := json.Unmarshal(head, &b); err != nil {
		return b, fmt.Errorf("%w: %w", errDamaged, err)
	}
	b.Encoded = data[len(head):]
	return b, nil
}
