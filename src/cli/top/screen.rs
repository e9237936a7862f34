//! The terminal: taken over, drawn on, listened to, and given back as it was however this ends, by
//! a panic or a signal too. Decides nothing.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use tokio::signal::unix::{SignalKind, signal};

use super::asking::Asking;
use super::state::{State, on_key};
use super::view::draw;
use crate::cli::admin::Address;

/// How long a key is waited for before it is looked whether the edge has told something.
const GLANCE: Duration = Duration::from_millis(100);

/// How long after a signal the terminal is given back in order.
const PARTING: Duration = Duration::from_secs(1);

/// Shows it until somebody leaves.
pub(super) fn show(address: &Address, state: State, every: Duration) -> anyhow::Result<()> {
    anyhow::ensure!(
        std::io::stdin().is_terminal(),
        "keys are read from a terminal, and stdin is none: use --plain"
    );
    let ended = ends_on_signals()?;
    let asking = Asking::start(address, state.wanted(), every)?;
    // From here on a panic gives the terminal back before it says anything.
    let mut terminal = ratatui::try_init().context("the terminal cannot be taken over")?;
    let shown = keep(&mut terminal, state, &asking, &ended);
    let restored = ratatui::try_restore().context("the terminal is not as it was: try reset");
    shown.and(restored)
}

fn keep(
    terminal: &mut DefaultTerminal,
    mut state: State,
    asking: &Asking,
    ended: &AtomicBool,
) -> anyhow::Result<()> {
    let mut is_drawn = false;
    while !state.leaves && !ended.load(Ordering::Relaxed) {
        let wanted = state.wanted();
        for heard in asking.heard() {
            state = state.hears(heard);
            is_drawn = false;
        }
        if !is_drawn {
            let drawn = terminal.draw(|frame| draw(frame, &state));
            drawn.context("the terminal cannot be written to")?;
            is_drawn = true;
        }
        // Keys that were typed ahead are all taken before it is drawn again.
        let mut patience = GLANCE;
        while event::poll(patience).context("no key can be read")? {
            match event::read().context("no key can be read")? {
                Event::Key(key) if key.kind != KeyEventKind::Release => {
                    state = on_key(state, key);
                }
                // The next drawing measures the screen anew.
                Event::Resize(..) | Event::Key(_) => {}
                Event::FocusGained | Event::FocusLost | Event::Mouse(_) | Event::Paste(_) => {}
            }
            is_drawn = false;
            patience = Duration::ZERO;
            if state.leaves {
                break;
            }
        }
        if state.wanted() != wanted {
            asking.wants(state.wanted());
        }
    }
    Ok(())
}

/// Becomes true when the process is to end: by itself it would leave the terminal as it is. Where
/// the terminal itself is gone, whoever waits for a key never comes back, and the process ends here.
fn ends_on_signals() -> anyhow::Result<Arc<AtomicBool>> {
    let ended = Arc::new(AtomicBool::new(false));
    let ends = Arc::clone(&ended);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no runtime")?;
    let (mut term, mut hangup, mut interrupt) = {
        let _inside = runtime.enter();
        let heard = |kind| signal(kind).context("signals cannot be heard");
        (
            heard(SignalKind::terminate())?,
            heard(SignalKind::hangup())?,
            heard(SignalKind::interrupt())?,
        )
    };
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = term.recv() => {}
                    _ = hangup.recv() => {}
                    _ = interrupt.recv() => {}
                }
            });
            ends.store(true, Ordering::Relaxed);
            std::thread::sleep(PARTING);
            ratatui::try_restore().ok();
            std::process::exit(1);
        })
        .context("no thread that hears signals")?;
    Ok(ended)
}
