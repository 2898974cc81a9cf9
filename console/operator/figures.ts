/** The four charts. */
import { h } from "../page/dom.ts";
import type { Events } from "./event-feed.ts";
import { Figure, type Picture } from "./figure.ts";
import { type Bin, binOutcomes, type Span, startOf } from "./outcomes.ts";
import { failuresPicture, LIVE_STATUSES, machinesPicture } from "./pictures-of-totals.ts";
import { durationPicture, successPicture } from "./pictures-over-time.ts";
import type { Sample } from "./prometheus.ts";
import type { Reading } from "./reading.ts";

export class Figures {
  readonly elements: HTMLElement[];
  readonly #success = new Figure("success", "Success rate", [
    { name: "succeeded", mark: "solid", colour: "blue" },
    { name: "failed", mark: "hatch", colour: "vermilion" },
  ]);
  readonly #durations = new Figure("durations", "How long it takes", [
    { name: "half took at most", mark: "line", colour: "blue" },
    { name: "95 % took at most", mark: "dashed", colour: "vermilion" },
  ]);
  readonly #failures = new Figure("failures", "Failures by code");
  readonly #machines = new Figure("machines", "Live machines by region", LIVE_STATUSES);

  constructor() {
    this.elements = [
      h("div", { class: "figures" }, this.#success.element, this.#durations.element),
      h("div", { class: "figures" }, this.#failures.element, this.#machines.element),
    ];
  }

  /** @param how `redraw`: in the colours of now, also where nothing has changed */
  show(
    events: Reading<Events>,
    metrics: Reading<Sample[]>,
    span: Span,
    how: "show" | "redraw",
  ): void {
    const now = Date.now();
    const ofBins = (picture: (bins: Bin[], read: Events) => Picture) => (read: Events) =>
      picture(binOutcomes(read.events, span, now), read);
    this.#success[how](
      events,
      ofBins((bins, { complete }) => successPicture(bins, span, !complete)),
    );
    this.#durations[how](events, ofBins((bins) => durationPicture(bins, span)));
    this.#failures[how](
      events,
      (read) => failuresPicture(read.events, startOf(span, now), span.name),
    );
    this.#machines[how](metrics, machinesPicture);
  }
}
