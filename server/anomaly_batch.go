package server

import (
	"context"

	"github.com/gofiber/fiber/v2"

	"github.com/akin-search/akin/index"
)

// anomalyBatchRequest is the body of /anomaly/batch.
type anomalyBatchRequest struct {
	items []subject
	alpha *float64
	fdr   *float64
	model string
}

var anomalyBatchFields = []string{"items", "alpha", "fdr", "model_id"}

func (*anomalyBatchRequest) fields() []string { return anomalyBatchFields }

func (q *anomalyBatchRequest) read(field string, r *reader) (err error) {
	switch field {
	case "items":
		err = r.array(func(i int) error {
			if i == index.MaxBatch {
				return badf("more than %d items: send them in several batches", index.MaxBatch)
			}
			var item subject
			if err := r.object(&item); err != nil {
				return err
			}
			q.items = append(q.items, item)
			return nil
		})
	case "alpha":
		q.alpha, err = r.optionalFloat()
	case "fdr":
		q.fdr, err = r.optionalFloat()
	case "model_id":
		q.model, err = r.text(maxModelID)
	}
	return err
}

// anomalyBatchResult has a verdict an item, in their order. With alpha that is the share of false alarms among normal items;
// with fdr the share of false alarms among alarms, and fewest_alarms is how many anomalies there have to be so that any is found.
type anomalyBatchResult struct {
	Verdicts     []batchVerdict `json:"verdicts"`
	Anomalies    int            `json:"anomalies"`
	Alpha        *float64       `json:"alpha,omitempty"`
	Threshold    *float64       `json:"threshold,omitempty"`
	FDR          *float64       `json:"fdr,omitempty"`
	FewestAlarms int            `json:"fewest_alarms,omitempty"`
	ModelID      string         `json:"model_id"`
}

type batchVerdict struct {
	Score        float64 `json:"score"`
	PValue       float64 `json:"p_value"`
	ClassPValue  float64 `json:"class_p_value"`
	IsAnomaly    bool    `json:"is_anomaly"`
	NearestClass string  `json:"nearest_class"`
	byPatches
}

// anomalyBatch judges many items, all or none.
func (s *Server) anomalyBatch(ctx context.Context, c *fiber.Ctx) (any, error) {
	col, err := s.collection(c)
	if err != nil {
		return nil, err
	}
	var req anomalyBatchRequest
	if err := readJSON(c, &req); err != nil {
		return nil, err
	}
	switch {
	case len(req.items) == 0:
		return nil, badf("no items: give at least one")
	case req.alpha != nil && req.fdr != nil:
		return nil, badf("alpha and fdr are given: give one of them")
	}
	if req.model != "" {
		if err := col.CheckModel(req.model); err != nil {
			return nil, at("model_id", err)
		}
	}
	d, alpha, err := s.detector(col, req.alpha)
	if err != nil {
		return nil, err
	}
	out := anomalyBatchResult{Verdicts: make([]batchVerdict, len(req.items)), ModelID: col.ModelID(), FDR: req.fdr}
	patches, normal := 0, s.normalOf(col) // items that these judge
	for i := range req.items {
		if s.byPatches(&req.items[i]) {
			patches++
		}
	}
	if req.fdr != nil {
		least := d.Conformal // of the least p-value
		if patches == len(req.items) || patches > 0 && normal.Calibration() > least.Calibration() {
			least = normal
		}
		if err := least.CheckFDR(*req.fdr); err != nil {
			return nil, at("fdr", err)
		}
		out.FewestAlarms = least.FewestAlarms(*req.fdr, len(req.items))
	}
	searches := make([]searchRequest, len(req.items))
	for i, item := range req.items {
		searches[i].subject = item
	}
	vectors, err := s.resolveAll(ctx, col, "items", searches)
	if err != nil {
		return nil, err
	}
	verdicts, p := make([]index.Verdict, len(vectors)), make([]float64, len(vectors))
	by := make([]*surfaceVerdict, len(vectors)) // nil where the detector judges
	switch patches {                            // one alpha for all
	case 0:
	case len(req.items):
		alpha = s.surfaceAlpha(normal, req.alpha)
	default:
		if alpha, err = s.bothAlpha(d, normal, req.alpha); err != nil {
			return nil, err
		}
	}
	for i, v := range vectors {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		own := alpha // of the detector, which of what patches judge tells the nearest class
		if s.byPatches(&req.items[i]) {
			if by[i], err = s.surface(ctx, normal, req.items[i].input, alpha); err != nil {
				return nil, inItem("items", i, err)
			}
			own = max(s.opt.Alpha, d.MinAlpha())
		}
		if verdicts[i], err = s.judgeBy(ctx, col, d, v, req.items[i].id, nil, own); err != nil {
			return nil, inItem("items", i, err)
		}
		p[i] = verdicts[i].PValue
		v := verdicts[i]
		out.Verdicts[i] = batchVerdict{Score: v.Score, PValue: p[i], ClassPValue: v.ClassPValue, IsAnomaly: v.Anomaly, NearestClass: v.NearestClass}
		if by[i] != nil {
			p[i] = by[i].p
			out.Verdicts[i] = batchVerdict{by[i].score, p[i], p[i], by[i].anomaly, v.NearestClass, by[i].parts()}
		}
	}
	if req.fdr != nil {
		called, err := index.BenjaminiHochberg(p, *req.fdr)
		if err != nil {
			return nil, at("fdr", err)
		}
		for i, is := range called {
			out.Verdicts[i].IsAnomaly = is
		}
	} else {
		if out.Alpha = &alpha; s.opt.Surface == nil { // patches have another threshold than vectors
			out.Threshold = &verdicts[0].Threshold
		}
	}
	for i, v := range verdicts {
		if out.Verdicts[i].IsAnomaly {
			out.Anomalies++
		}
		if req.items[i].id == "" {
			s.watch(col, d, v, by[i])
		}
	}
	return out, nil
}
